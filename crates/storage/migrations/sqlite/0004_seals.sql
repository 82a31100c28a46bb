-- Ties a document's two forms to the body that both were made of; NULL: not known.
ALTER TABLE documents ADD COLUMN seal BLOB;
