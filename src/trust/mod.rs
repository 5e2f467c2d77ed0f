//! Floor 3: judges bytes against a policy; asks nobody.
