-- Where users of the SIP gateway are registered, so that a restart forgets none. `contacts` is sealed where there are keys: it
-- holds network addresses of persons.
CREATE TABLE registrations (
    org INTEGER NOT NULL,
    user TEXT NOT NULL,
    expires_ms INTEGER NOT NULL,
    contacts TEXT NOT NULL,
    PRIMARY KEY (org, user)
) STRICT, WITHOUT ROWID;

CREATE INDEX registrations_by_expiry ON registrations (expires_ms);
