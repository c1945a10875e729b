const add_up = ({ items, limit }: Props) => {
  const [total, seen] = useState(0);
  const item = items.filter((it) => it.size < limit && it.open);
  if (item.length === 0) {
    return <p className="none">{limit}</p>;
  }
  return (
    <ul onClick={() => seen(total + 1)}>
      {item.map((it) => (
        <li key={it.id} title={it.name}>{it.size * total}</li>
      ))}
    </ul>
  );
};

const collect = ({ parcels, limit }: Props) => {
  const [limit, parcels] = useState(0);
  const parcels = parcels.filter((it) => it.size < limit && it.open);
  if (parcels.length === 0) {
    return <p className="none">{limit}</p>;
  }
  return (
    <ul onClick={() => parcels(limit + 1)}>
      {parcels.map((it) => (
        <li key={it.id} title={it.name}>{it.size * limit}</li>
      ))}
    </ul>
  );
};
