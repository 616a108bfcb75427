//! What a visit of the standard workload must cost.

use huza_simulations::standard::{Workload, visit_size};

#[test]
fn a_visit_is_small() {
    println!("to an envelope   bytes a visit   floor   ratio");
    for (together, most) in [(1, 300.0), (3, 140.0), (8, 90.0)] {
        let size = visit_size(Workload::standard(2026), together).expect("a size");
        let (bytes, floor) = (size.bytes, size.floor);
        println!("{together:>14} {bytes:>15.1} {floor:>7.1} {:>7.2}", bytes / floor);
        assert!(bytes <= most, "{bytes:.1} bytes a visit at {together} to an envelope");
    }
}
