"""Files on disk: images, shards, labels, caches. Nothing here knows a particular data set."""
