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

const collect = ({ parcels, weight }: Props) => {  // expect: duplicate-code
  const [load, known] = useState(0);
  const parcel = parcels.filter((it) => it.size < weight && it.open);
  if (parcel.length === 0) {
    return <p className="none">{weight}</p>;
  }
  return (
    <ul onClick={() => known(load + 1)}>
      {parcel.map((it) => (
        <li key={it.id} title={it.name}>{it.size * load}</li>
      ))}
    </ul>
  );
};
