function row(label, value) {
  return '<tr><td>' + label + '</td><td>' + value + '</td></tr>';
}
app.get('/t', (req, res) => {
  const html = row('Name', req.query.name);
  res.send('<table>' + html + '</table>'); // expect: xss
});
