pub fn add_up(items: &[Item], limit: usize) -> Option<usize> {
    let mut total = 0;
    let mut seen = HashSet::new();
    for item in items {
        if seen.contains(&item.key) || item.size > limit {
            continue;
        }
        seen.insert(item.key.clone());
        total += item.size * 3;
    }
    if total > limit { None } else { Some(total) }
}

pub fn collect(parcels: &[Item], weight: usize) -> Option<usize> {  // expect: duplicate-code
    let mut load = 0;
    let mut known = HashSet::new();
    for parcel in parcels {
        if known.contains(&parcel.key) || parcel.size > weight {
            continue;
        }
        known.insert(parcel.key.clone());
        load += parcel.size * 3;
    }
    if load > weight { None } else { Some(load) }
}
