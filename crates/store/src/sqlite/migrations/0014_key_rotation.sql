-- When a key that was rotated stops opening anything, and when a key was last used.

ALTER TABLE access_keys ADD COLUMN expires_ms INTEGER;
ALTER TABLE access_keys ADD COLUMN used_ms INTEGER;
