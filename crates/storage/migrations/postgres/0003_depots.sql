-- A depot is a folder of git mirrors, shared by all processes on one data folder.
CREATE TABLE depots (
    name            TEXT    PRIMARY KEY,                  -- random, kept in the folder
    node            TEXT    NOT NULL,                     -- who spoke for it last, for people
    seen_at         BIGINT  NOT NULL,                     -- last sign of life of any process on it
    works_at        BIGINT  NOT NULL                      -- of one that runs jobs; 0: never
);

-- Whose workers go first; NULL: nobody's.
ALTER TABLE jobs ADD COLUMN depot TEXT;

-- Whose mirror had the commit when it was published last; NULL: not known.
ALTER TABLE package_references ADD COLUMN depot TEXT;
-- Since when neither upstream nor any mirror has the commit, and there is no dist of it.
ALTER TABLE package_references ADD COLUMN lost_at BIGINT;
