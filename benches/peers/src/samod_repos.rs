pub fn run(_: &crate::workload::Workload) {}
