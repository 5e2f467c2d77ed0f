//! Floor 5: commands.
