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

pub fn add_up_again(items: &[Item], limit: usize) -> Option<usize> {  // expect: duplicate-code
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
