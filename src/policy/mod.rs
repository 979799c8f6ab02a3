//! What is required of which repository, and who may relax it.
