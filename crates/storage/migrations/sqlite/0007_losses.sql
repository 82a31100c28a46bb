-- How often the worker of a job was lost: killed, cut off, out of memory. Counted apart from attempts, which are the job's own.
ALTER TABLE jobs ADD COLUMN losses BIGINT NOT NULL DEFAULT 0;
