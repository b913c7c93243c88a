//! The tests of the policy language.
