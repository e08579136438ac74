//! Files of other programs that may hold anything.

use super::lines::Input;
use super::{Fetched, Memory, fetchmail, getmail, mbsync};
use anyhow::Result;
use std::path::Path;

/// What is read is read alike in pieces, and names no more messages than there are lines; what is
/// not read is refused with the line, or with what is missing.
pub fn files(data: &[u8]) {
    let path = Path::new("file");
    let readers: [fn(Input<'_>) -> Result<Memory>; 3] = [getmail::of, mbsync::of, |input| {
        fetchmail::of(input, &["a"])
    }];
    for read in readers {
        let told = |memory: Result<Memory>| match memory {
            Ok(memory) => {
                let Fetched::Uids(uids) = memory.fetched else {
                    return Ok(None);
                };
                let lines = data.split(|&b| b == b'\n').count() as u64;
                let count = uids.newest().map_or(0, |valid| uids.count(valid));
                assert!(count + memory.unclear <= lines);
                Ok(Some((uids, memory.unclear)))
            }
            Err(err) => Err(err.to_string()),
        };
        let whole = told(read(Input::of(path, data)));
        let pieces = std::io::BufReader::with_capacity(3, data);
        assert!(whole == told(read(Input::of(path, pieces))));
        if let Err(words) = whole {
            assert!(words.contains("`file`"), "{words}");
        }
    }
}
