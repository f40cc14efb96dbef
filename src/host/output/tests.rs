use std::fs;

use super::*;

#[test]
fn a_folder_that_cannot_be_filled_is_as_it_was_before() {
    let above = std::env::temp_dir().join(format!("tunecheck-filled-{}", std::process::id()));
    fs::create_dir_all(above.join("empty")).unwrap();
    for (name, stays) in [("new", false), ("empty", true)] {
        let path = above.join(name);
        let failed = filled(&path, Readers::Owner, |folder: &Folder| -> Result<()> {
            folder.write("a/b/file", b"x")?;
            folder.write("a/other", b"x")?;
            folder.write("a/b/file", b"x")
        });
        let said = format!("{:#}", failed.unwrap_err());
        assert!(said.contains("File exists") && said.ends_with("is removed again"), "{said}");
        assert_eq!((path.exists(), fs::read_dir(&path).is_ok_and(|mut all| all.next().is_none())), (stays, stays));
    }
    let left = above.join("left");
    let failed = filled(&left, Readers::Owner, |folder: &Folder| -> Result<()> {
        folder.write("a/file", b"x")?;
        fs::write(left.join("a/of-another"), "x")?;
        bail!("full")
    });
    let said = format!("{:#}", failed.unwrap_err());
    assert!(
        said.starts_with("full: ") && said.ends_with("is left half made (Directory not empty): remove it"),
        "{said}"
    );
    fs::remove_dir_all(&above).unwrap();
}
