//! From names to addresses.
//!
//! | file | subject |
//! |---|---|
//! | `address_book` | the address of each member, and where a datagram goes |
//! | `resolver` | the threads that resolve names |
//! | `getaddrinfo` | the call that they make |
//! | `cache` | answers that are remembered |
//! | `shares` | how many names of strangers, members and users are resolved at once |

pub mod address_book;
pub mod cache;
pub mod getaddrinfo;
pub mod resolver;
pub mod shares;
