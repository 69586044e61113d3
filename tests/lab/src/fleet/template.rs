//! Configuration files, written from the templates in `templates/`, where `@name@` stands for a value.

use std::fmt::Display;
use std::fs;
use std::path::Path;

use crate::error::{Error, Result};

/// Writes a file from a template.
pub fn write(path: &Path, template: &str, values: &[(&str, &dyn Display)]) -> Result<()> {
    fs::write(path, fill(template, values)).map_err(Error::file("write", path))
}

/// The text of a template.
pub fn fill(template: &str, values: &[(&str, &dyn Display)]) -> String {
    values
        .iter()
        .fold(template.to_owned(), |text, (name, value)| text.replace(&format!("@{name}@"), &value.to_string()))
}

#[cfg(test)]
mod tests {
    use super::fill;

    #[test]
    fn every_mention_of_a_name_becomes_its_value() {
        assert_eq!(fill("@a@ and @b@, @a@", &[("a", &1), ("b", &"two")]), "1 and two, 1");
    }
}
