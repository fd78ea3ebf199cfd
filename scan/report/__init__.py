"""What an auditor looks at: one HTML file, and CSV files, made of a scan's two tables.

results folder -> `gathering` (one pass in batches, sums of bounded size) -> `tables` -> `page` (HTML) and `csv_files`.
"""
