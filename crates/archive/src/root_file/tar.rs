//! Surveys a tar.

use std::io::Read;

use crate::error::ArchiveError;
use crate::tarball::{self, Kind};

use super::survey::Survey;

pub(super) fn read(tar: &mut dyn Read, survey: &mut Survey<'_>) -> Result<(), ArchiveError> {
    let limits = survey.limits();
    tarball::each(tar, limits, |member, content| {
        let directory = matches!(member.kind, Kind::Directory);
        let Some(path) = survey.enter(&member.name, directory)? else {
            return Ok(());
        };
        match member.kind {
            Kind::Directory => Ok(()),
            Kind::Link { target } => survey.link(&path, &target),
            Kind::File { .. } => {
                let read = survey.file(&path, content)?;
                if read == member.size {
                    return Ok(());
                }
                Err(ArchiveError::damaged("it ends too early"))
            }
        }
    })
}
