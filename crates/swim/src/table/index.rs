//! The places of the table.

/// Where in the table a member is. It moves only when another is forgotten.
pub type MemberIndex = u32;

/// The place of this number.
pub(crate) fn member_index(index: usize) -> MemberIndex {
    MemberIndex::try_from(index).expect("less than 2^32 members")
}
