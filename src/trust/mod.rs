//! Floor 3: judges bytes against a policy; asks nobody.

pub mod keyfile;
pub mod keys;
mod pem;
pub mod seal;
pub mod simple;
