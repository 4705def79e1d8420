//! Random numbers of the system: datagrams are sealed with numbers that must not be guessed or repeated.

use std::io;

use crate::error::Error;
use swim::Seed;

/// Draws a seed for the protocol.
pub fn seed() -> Result<Seed, Error> {
    let mut seed = Seed([0; 32]);
    fill(&mut seed.0)?;
    Ok(seed)
}

/// Draws a number that no copy of this process draws, too. Never blocks, because a seed was drawn before.
pub fn salt() -> Result<u64, Error> {
    let mut salt = [0; 8];
    fill(&mut salt)?;
    Ok(u64::from_ne_bytes(salt))
}

fn fill(bytes: &mut [u8]) -> Result<(), Error> {
    let Err(error) = getrandom::fill(bytes) else {
        return Ok(());
    };
    let error = io::Error::from_raw_os_error(error.raw_os_error().unwrap_or(libc::EIO));
    Err(Error::system("cannot draw random numbers", &error))
}
