//! From a model to a folder that people read and change: one entity a file, defaults left out.

mod write;

use std::fs;
use std::io;
use std::path::Path;

use crate::entity::Model;

/// Writes `model` to `dir` so that [`crate::load`] gives it back. The folder may exist, a model in
/// it may not: nothing is overwritten, for people change what was written.
///
/// # Errors
///
/// What the file system says, with the file it is about.
pub fn save(model: &Model, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir).map_err(|it| at(dir, it))?;
    let visible = write::default_visibility(model);
    create(&dir.join("model.toml"), &write::model(model, visible))?;
    let entities = dir.join("entities");
    fs::create_dir(&entities).map_err(|it| at(&entities, it))?;
    for entity in &model.entities {
        let file = entities.join(format!("{}.toml", entity.name));
        create(&file, &write::entity(entity, visible))?;
    }
    Ok(())
}

fn create(path: &Path, text: &str) -> io::Result<()> {
    let write = || io::Write::write_all(&mut fs::File::create_new(path)?, text.as_bytes());
    write().map_err(|it| at(path, it))
}

fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
