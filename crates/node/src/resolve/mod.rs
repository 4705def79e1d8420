//! Finds the addresses of members.
//!
//! | file | subject |
//! |---|---|
//! | `address_book` | the address of each member, and where a datagram goes |
//! | `resolver` | the threads that resolve names |
//! | `getaddrinfo` | the call that they make |
//! | `cache` | a map of limited size for the answers |
//! | `quota` | how many names of unknown senders, members and users are resolved at once |

pub mod address_book;
pub mod cache;
pub mod getaddrinfo;
pub mod quota;
pub mod resolver;
