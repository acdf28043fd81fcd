"""Tables from records alone: specification, values, statistics, claims, report, rendering."""
