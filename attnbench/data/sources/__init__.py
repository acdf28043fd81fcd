"""What lies on disk: image files, shards, label files, caches. Knows no data set."""
