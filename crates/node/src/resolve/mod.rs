//! Finds the addresses of members.
//!
//! | file | subject |
//! |---|---|
//! | `address_book` | the addresses of each member, and where a datagram goes |
//! | `route` | where a datagram goes |
//! | `choice` | which of its addresses a member is reached at |
//! | `host` | what the resolver has said of a host |
//! | `resolver` | the threads that resolve names |
//! | `getaddrinfo` | the call that they make |
//! | `cache` | a map of limited size for the answers |
//! | `permit` | which addresses may be sent to |
//! | `quota` | how many names of unknown senders, members and users are resolved at once |

pub mod address_book;
pub mod cache;
pub mod choice;
pub mod getaddrinfo;
pub mod host;
pub mod permit;
pub mod quota;
pub mod resolver;
pub mod route;
