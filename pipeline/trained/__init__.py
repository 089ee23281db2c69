"""Write and read the folder of a trained model, and score its predictions."""
