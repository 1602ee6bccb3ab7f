//! From a model to a folder that people read and change: one entity a file, defaults left out.

mod write;

use std::fs;
use std::io;
use std::path::Path;

use crate::entity::Model;

/// Writes `model` to `dir` so that [`crate::load`] gives it back. The folder `entities` may not be
/// there yet: what is in it may have been changed by people, and what the model does not have would
/// become part of it.
///
/// # Errors
///
/// What the file system says, with the file it is about.
pub fn save(model: &Model, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir).map_err(|it| at(dir, it))?;
    let entities = dir.join("entities");
    fs::create_dir(&entities).map_err(|it| at(&entities, it))?;
    let visible = write::default_visibility(model);
    write(&dir.join("model.toml"), &write::model(model, visible))?;
    for entity in &model.entities {
        let file = entities.join(format!("{}.toml", entity.name));
        write(&file, &write::entity(entity, visible))?;
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> io::Result<()> {
    fs::write(path, text).map_err(|it| at(path, it))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
