"""The stages of the pipeline, in the order of dvc.yaml: download, preprocess, train, baseline, evaluate."""
