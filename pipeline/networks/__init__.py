"""The recurrent networks: built, trained, saved and asked. Keras is known here, and to whoever opens a network."""
