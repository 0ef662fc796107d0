CREATE INDEX ON call_documents USING gin (words)
