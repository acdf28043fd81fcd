"""Starting runs as processes: the one scheduler, and the engines that it starts them with."""
