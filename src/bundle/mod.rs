//! Floor 3: the container that survives a journey.
