"""Data sets whose images hold several objects, each with a box and a class."""
