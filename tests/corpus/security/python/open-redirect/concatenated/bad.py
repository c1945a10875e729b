from django.shortcuts import redirect

def view(request):
    return redirect("https://" + request.GET["host"] + "/home")  # expect: open-redirect
