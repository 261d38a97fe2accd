//! doorward-guard
