"""Files of reports: packed or not, JSON, NDJSON or tables, cut into documents."""
