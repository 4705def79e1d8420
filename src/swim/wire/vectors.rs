//! What real peers of the Lua rock sent, as it was recorded.
