-- Repositories are listed in the order of their names' bytes, whatever language the database sorts by.
CREATE INDEX repositories_by_name ON repositories (gun COLLATE {bytewise});
