//! Writes the seeds for cargo-fuzz: `fuzz/corpus/TARGET/NAME`.

use std::path::Path;
use std::{fs, io};

fn main() -> io::Result<()> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("corpus");
    for (target, _) in membership_fuzz::TARGETS {
        let directory = corpus.join(target);
        fs::create_dir_all(&directory)?;
        let seeds = membership_fuzz::seeds::of(target);
        println!("{}: {} seeds", directory.display(), seeds.len());
        for (name, bytes) in seeds {
            fs::write(directory.join(name), bytes)?;
        }
    }
    Ok(())
}
