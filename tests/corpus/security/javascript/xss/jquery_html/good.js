$(function () {
  const q = location.search.split('q=')[1];
  $('#result').text('Results for ' + q);
  $('#result').html('<b>ready</b>');
});
