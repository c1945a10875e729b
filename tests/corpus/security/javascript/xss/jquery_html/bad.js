$(function () {
  const q = location.search.split('q=')[1];
  $('#result').html('Results for ' + q); // expect: xss
});
