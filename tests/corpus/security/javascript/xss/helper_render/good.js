function escape(text) {
  return text.replace(/[^a-zA-Z0-9 ]/g, '');
}
function row(label, value) {
  return '<tr><td>' + label + '</td><td>' + escape(value) + '</td></tr>';
}
app.get('/t', (req, res) => {
  const html = row('Name', req.query.name);
  res.send('<table>' + html + '</table>');
});
