"""One run: what is asked, judged and recorded; the one search loop, over many processes."""
