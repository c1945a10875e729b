package sample

func add_up(items []Item, limit int) (int, error) {
	total := 0
	seen := map[string]bool{}
	for _, item := range items {
		if seen[item.Key] || item.Size > limit {
			continue
		}
		seen[item.Key] = true
		total += item.Size * 3
	}
	if total > limit {
		return 0, errors.New("too much")
	}
	return total, nil
}
