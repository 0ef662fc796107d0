//! The written API reference is the one that the code makes.

use std::path::Path;

use crate::server::Home;

#[tokio::test]
async fn the_written_reference_is_the_one_that_the_code_makes() {
    let home = Home::new("");
    let server = home.start();
    let made = pegcount::reference::markdown(&server.get("/openapi.json").await.expect(200));
    let path = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/api.md"));
    if std::env::var_os("PEGCOUNT_WRITE_REFERENCE").is_some() {
        std::fs::write(path, &made).expect("docs/api.md is written");
    }
    let written = std::fs::read_to_string(path).unwrap_or_default();
    assert!(written == made, "docs/api.md is not what the code makes: run `make reference`");
}
