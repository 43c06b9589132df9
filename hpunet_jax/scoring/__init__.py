"""Scores for predictions of any tool: folders of label maps, by the metrics of our evaluation."""
