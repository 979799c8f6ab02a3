-- The tables of a notary-server 0.7 on MySQL, which it does not make itself.
CREATE TABLE tuf_files (
    id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    created_at timestamp NULL,
    updated_at timestamp NULL,
    deleted_at timestamp NULL,
    gun varchar(255) NOT NULL,
    role varchar(255) NOT NULL,
    version int NOT NULL,
    data longblob NOT NULL,
    sha256 char(64),
    UNIQUE KEY gun (gun, role, version),
    KEY sha256 (sha256)
) ENGINE = InnoDB DEFAULT CHARSET = utf8;
CREATE TABLE change_category (category varchar(20) NOT NULL PRIMARY KEY) ENGINE = InnoDB DEFAULT CHARSET = utf8;
INSERT INTO change_category VALUES ('update'), ('deletion');
CREATE TABLE changefeed (
    id int NOT NULL AUTO_INCREMENT PRIMARY KEY,
    created_at timestamp DEFAULT CURRENT_TIMESTAMP,
    gun varchar(255) NOT NULL,
    version int NOT NULL,
    sha256 char(64),
    category varchar(20) NOT NULL DEFAULT 'update',
    KEY gun (gun),
    FOREIGN KEY (category) REFERENCES change_category (category)
) ENGINE = InnoDB DEFAULT CHARSET = utf8;
