//! The metadata itself, in Notary v1's dialect of TUF. No I/O and no clock: both are passed in.
