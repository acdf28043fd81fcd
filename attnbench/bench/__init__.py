"""Speed of training, of attention modules and of loading, against references that do the same in the same run."""
